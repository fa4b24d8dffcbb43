/** The button that gives the link to this room: to the phone's share sheet, or to the clipboard. */

import { useState } from "preact/hooks";
import { Link } from "../shared/icons";
import { invitation } from "./address";

export function Invite({ room, prominent = false }: { room: string; prominent?: boolean }) {
  const [said, setSaid] = useState("");

  const copy = async () => {
    const link = invitation(room);
    try {
      await navigator.clipboard.writeText(link);
      setSaid("Link copied.");
    } catch {
      setSaid(link); // where the clipboard is closed to us it can be copied by hand
    }
  };

  return (
    <div class="invite">
      <span class="invite-said" role="status">
        {said}
      </span>
      <button type="button" class={prominent ? "primary" : "quiet"} onClick={() => void copy()}>
        <Link />
        <span>{prominent ? "Copy the link to send it" : "Copy link"}</span>
      </button>
    </div>
  );
}
