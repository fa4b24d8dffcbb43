/** Which of the page's three faces is shown: before, during or after the call. */

import { address } from "./address";
import { Announcements } from "./announcer";
import { CallView } from "./call-view";
import { Conversation } from "./conversation";
import { Devices } from "./devices";
import { Farewell } from "./farewell";
import { Lobby } from "./lobby";

const conversation = new Conversation(address(), new Devices());

export function App() {
  return (
    <>
      <Face />
      <Announcements announcer={conversation.announcer} />
    </>
  );
}

function Face() {
  const phase = conversation.phase.value;
  switch (phase.at) {
    case "lobby":
    case "joining":
      return <Lobby conversation={conversation} joining={phase.at === "joining"} />;
    case "in":
      return <CallView conversation={conversation} call={phase.call} />;
    case "over":
      return <Farewell conversation={conversation} reason={phase.reason} summary={phase.summary} />;
  }
}
