/** How large the tiles of a grid are: as large as they can be, all alike, none of them a slit. */

export interface Box {
  readonly width: number;
  readonly height: number;
}

/** Width by height; in between a tile takes the shape that there is room for. */
const WIDEST = 16 / 9;
/** Cameras lie on their side on a desk, and stand on a phone that is held upright. */
const NARROWEST = { wide: 1, tall: 9 / 16 } as const;

/** Return the size of one of `count` tiles in an area, with `gap` between them, all in pixels. */
export function tileSize(count: number, area: Box, gap: number): Box {
  const narrowest = area.width > area.height ? NARROWEST.wide : NARROWEST.tall;
  let best: Box = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const width = (area.width - gap * (columns - 1)) / columns;
    const height = (area.height - gap * (rows - 1)) / rows;
    const tile = {
      width: Math.floor(Math.min(width, height * WIDEST)),
      height: Math.floor(Math.min(height, width / narrowest)),
    };
    if (tile.width * tile.height > best.width * best.height) best = tile;
  }
  return best;
}
