/** One member's place in the grid: the picture, or who would be in it. */

import type { Quality } from "parley-client";
import { Collapse, Expand, Microphone, Waves } from "../shared/icons";
import { hue, initials } from "./people";
import { QualityChip } from "./quality";
import { Video } from "./video";

export interface TileProps {
  readonly name: string;
  readonly stream: MediaStream | undefined;
  readonly own?: boolean;
  readonly picture: boolean;
  readonly audible: boolean;
  readonly speaking: boolean;
  readonly speaker?: string;
  readonly sharing?: boolean;
  /** Large, with the others beside it. */
  readonly staged?: boolean;
  /** What to say while there is no picture to come. */
  readonly status?: string | undefined;
  readonly quality?: Quality | undefined;
  /** Put it on the stage, or take it back. */
  readonly pin?: (() => void) | undefined;
}

export function Tile(props: TileProps) {
  const { name, stream, own = false, picture, audible, speaking, speaker = "", status, quality } = props;
  const { sharing = false, staged = false, pin } = props;
  const classes = [
    "tile",
    own && "tile-own",
    !picture && "tile-blank",
    sharing && "tile-sharing",
    staged && "tile-staged",
    speaking && audible && "tile-speaking",
  ];
  return (
    <li class={classes.filter(Boolean).join(" ")} data-name={name} data-hue={hue(name)}>
      {stream && (picture || !own) && (
        <Video
          stream={stream}
          muted={own}
          speaker={speaker}
          label={own ? "Your own picture" : `${sharing ? "Screen" : "Picture"} of ${name}`}
        />
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
        {speaking && audible && (
          <span class="tile-voice" role="img" aria-label="speaks">
            <Waves />
          </span>
        )}
        <bdi>{own ? `${name} (you)` : name}</bdi>
        {sharing && <span class="tile-shares">shares the screen</span>}
      </span>
      <span class="tile-corner">
        {quality && <QualityChip quality={quality} />}
        {pin && (
          <button
            type="button"
            class="tile-pin"
            aria-label={staged ? `Show ${name} as large as the others` : `Show ${name} large`}
            title={staged ? "As large as the others" : "Show large"}
            onClick={pin}
          >
            {staged ? <Collapse /> : <Expand />}
          </button>
        )}
      </span>
    </li>
  );
}
