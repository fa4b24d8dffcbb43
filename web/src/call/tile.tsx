/** One member's place in the grid: the picture, or who would be in it. */

import { Microphone } from "../shared/icons";
import { initials } from "./people";
import { Video } from "./video";

export interface TileProps {
  readonly name: string;
  readonly stream: MediaStream | undefined;
  readonly own?: boolean;
  readonly picture: boolean;
  readonly audible: boolean;
  /** What to say while there is no picture to come. */
  readonly status?: string | undefined;
}

export function Tile({ name, stream, own = false, picture, audible, status }: TileProps) {
  return (
    <li class={`tile${own ? " tile-own" : ""}${picture ? "" : " tile-blank"}`} data-name={name}>
      {stream && (picture || !own) && (
        <Video stream={stream} muted={own} label={own ? "Your own picture" : `Picture of ${name}`} />
      )}
      {!picture && (
        <span class="tile-initials" aria-hidden="true">
          {initials(name)}
        </span>
      )}
      {status && <span class="tile-status">{status}</span>}
      <span class="tile-name">
        {!audible && (
          <span class="tile-muted" role="img" aria-label="microphone off">
            <Microphone off />
          </span>
        )}
        <bdi>{own ? `${name} (you)` : name}</bdi>
      </span>
    </li>
  );
}
