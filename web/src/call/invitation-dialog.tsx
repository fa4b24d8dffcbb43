/** Somebody asks this user into the call. */

import type { Invitation } from "parley-client";
import { Dialog } from "../shared/dialog";
import type { Conversation } from "./conversation";
import { from } from "./invitations";

export function InvitationDialog({
  conversation,
  invitation,
}: {
  conversation: Conversation;
  invitation: Invitation;
}) {
  return (
    <Dialog title="Come into the call?" close={() => void conversation.decline()}>
      <p>
        <bdi>{from(invitation)}</bdi> invites you to take part in the call.
      </p>
      {invitation.text && (
        <p class="quoted" dir="auto">
          {invitation.text}
        </p>
      )}
      <p class="hint">If you accept, your microphone and camera are switched on as you had them last.</p>
      <div class="dialog-foot">
        <button type="button" class="secondary" onClick={() => void conversation.decline()}>
          Decline
        </button>
        <button type="button" class="primary" onClick={() => void conversation.accept()}>
          Accept
        </button>
      </div>
    </Dialog>
  );
}
