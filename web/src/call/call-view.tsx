/** During the call: the tiles, the bar below them, and the panel beside them. */

import type { Call } from "parley-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { Bubble, Leave, Logo, People, Screen, Settings } from "../shared/icons";
import { Notice } from "./announcer";
import { Banner } from "./banner";
import type { Conversation } from "./conversation";
import { DeviceDialog } from "./device-dialog";
import { Grid, Outside } from "./grid";
import { InvitationDialog } from "./invitation-dialog";
import { Invite } from "./invite";
import { Panel, type Tab } from "./panel";
import { Round } from "./round";
import { Shortcuts, useShortcuts } from "./shortcuts";
import { Toggles } from "./toggle";

interface Props {
  readonly conversation: Conversation;
  readonly call: Call;
}

/** The panel stands beside the tiles from this width on; below it lies over them. */
const WIDE = "(min-width: 60rem)";
const CAN_SHARE = "getDisplayMedia" in (navigator.mediaDevices ?? {});

export function CallView({ conversation, call }: Props) {
  const [tab, setTab] = useState<Tab | undefined>(() =>
    window.matchMedia(WIDE).matches ? "chat" : undefined,
  );
  const [dialog, setDialog] = useState<"devices" | "shortcuts">();
  const bar = useRef<HTMLFieldSetElement>(null);
  const inCall = conversation.inCall.value;
  const unread = conversation.chat.unread.value;
  const room = conversation.room.value;
  const invitation = conversation.invitations.received.value;
  const covered = tab !== undefined && !window.matchMedia(WIDE).matches;

  useEffect(() => {
    document.title = `${room} · Parley`;
    return () => {
      document.title = "Parley";
    };
  }, [room]);
  useEffect(() => {
    if (tab === "chat") conversation.chat.unread.value = 0;
  }, [tab, unread, conversation]);

  const show = (wanted: Tab) => setTab(tab === wanted ? undefined : wanted);
  const close = () => {
    const button = bar.current?.querySelector<HTMLElement>(`[data-tab=${tab}] button`);
    setTab(undefined);
    requestAnimationFrame(() => button?.focus());
  };
  useShortcuts({
    m: () => inCall && void conversation.toggle("audio"),
    v: () => inCall && void conversation.toggle("video"),
    s: () => inCall && CAN_SHARE && void conversation.share(),
    c: () => show("chat"),
    p: () => show("people"),
    d: () => setDialog("devices"),
    "?": () => setDialog("shortcuts"),
  });

  return (
    <div class={`call${tab ? " call-with-panel" : ""}`}>
      <header class="call-head" inert={covered}>
        <Logo />
        <div class="call-title">
          <h1>
            <bdi>{room}</bdi>
          </h1>
          <Facts conversation={conversation} />
        </div>
        <Invite room={room} />
      </header>
      <Banner conversation={conversation} />
      <main class="stage" inert={covered}>
        {inCall ? <Grid conversation={conversation} call={call} /> : <Outside conversation={conversation} />}
        <Notice announcer={conversation.announcer} />
      </main>
      {tab && <Panel conversation={conversation} tab={tab} show={setTab} close={close} />}
      <footer class="call-foot" inert={covered}>
        <fieldset ref={bar} class="bar" aria-label="Call controls">
          {inCall && <Toggles conversation={conversation} />}
          {inCall && CAN_SHARE && (
            <Round
              name={conversation.sharing.value ? "Stop sharing the screen" : "Share the screen"}
              shortcut="S"
              {...(conversation.sharing.value ? { kind: "active" as const } : {})}
              press={() => void conversation.share()}
            >
              <Screen />
            </Round>
          )}
          <span class="bar-tab" data-tab="chat">
            <Round
              name="Chat"
              shortcut="C"
              expanded={tab === "chat"}
              badge={tab === "chat" ? 0 : unread}
              press={() => show("chat")}
            >
              <Bubble />
            </Round>
          </span>
          <span class="bar-tab" data-tab="people">
            <Round name="People" shortcut="P" expanded={tab === "people"} press={() => show("people")}>
              <People />
            </Round>
          </span>
          <Round name="Devices and shortcuts" shortcut="D" press={() => setDialog("devices")}>
            <Settings />
          </Round>
          <Round name="Leave" kind="leave" press={() => void conversation.leave()}>
            <Leave />
          </Round>
        </fieldset>
      </footer>
      {invitation && <InvitationDialog conversation={conversation} invitation={invitation} />}
      {dialog === "devices" && (
        <DeviceDialog
          conversation={conversation}
          close={() => setDialog(undefined)}
          showShortcuts={() => setDialog("shortcuts")}
        />
      )}
      {dialog === "shortcuts" && <Shortcuts close={() => setDialog(undefined)} />}
    </div>
  );
}

/** How many there are. */
function Facts({ conversation }: { conversation: Conversation }) {
  const others = conversation.seats.value.length;
  const inCall = others + (conversation.inCall.value ? 1 : 0);
  const chatting = conversation.dormant.value.length + (conversation.inCall.value ? 0 : 1);
  return (
    <p class="call-facts">
      {inCall} in the call{chatting > 0 && `, ${chatting} not`}
    </p>
  );
}
