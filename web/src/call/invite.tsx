/** The button that copies the link to this room. */

import { useState } from "preact/hooks";
import { Link } from "../shared/icons";
import { invitation } from "./address";

export function Invite({ room }: { room: string }) {
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
      <button type="button" class="quiet" onClick={() => void copy()}>
        <Link />
        <span>Copy link</span>
      </button>
    </div>
  );
}
