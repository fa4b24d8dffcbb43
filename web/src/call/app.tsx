/** Which of the page's three faces is shown: before, during or after the call. */

import { address } from "./address";
import { CallView } from "./call-view";
import { Conversation } from "./conversation";
import { Devices } from "./devices";
import { Farewell } from "./farewell";
import { Lobby } from "./lobby";

const devices = new Devices();
const conversation = new Conversation(address(), devices);

export function App() {
  const phase = conversation.phase.value;
  switch (phase.at) {
    case "lobby":
    case "joining":
      return <Lobby conversation={conversation} devices={devices} joining={phase.at === "joining"} />;
    case "in":
      return <CallView conversation={conversation} devices={devices} call={phase.call} />;
    case "over":
      return <Farewell conversation={conversation} reason={phase.reason} />;
  }
}
