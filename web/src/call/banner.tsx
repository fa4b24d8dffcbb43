/** Quietly, while the connection to the server is away. The media go on from browser to browser. */

import type { ConnectionState } from "parley-client";

export function Banner({ state }: { state: ConnectionState }) {
  return (
    <div class="banner" role="status">
      {state === "reconnecting" && (
        <p>The connection to the server was lost. Reconnecting… the call itself goes on.</p>
      )}
    </div>
  );
}
