/** Quietly, what stands between the user and the server. The media go on from browser to browser. */

import type { Conversation } from "./conversation";

export function Banner({ conversation }: { conversation: Conversation }) {
  const { connection, degraded, sharing } = conversation;
  return (
    <div class="banner">
      <div role="status">
        {connection.value === "reconnecting" ? (
          <p>The connection to the server was lost. Reconnecting… the call itself goes on.</p>
        ) : (
          degraded.value !== undefined && (
            <p>
              Part of the server is away. The call goes on; what you write is delivered as soon as it is back.
            </p>
          )
        )}
      </div>
      {sharing.value && (
        <p class="banner-sharing">
          You share your screen.{" "}
          <button type="button" class="link" onClick={() => void conversation.share()}>
            Stop sharing
          </button>
        </p>
      )}
    </div>
  );
}
