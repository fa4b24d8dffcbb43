/** How large the tiles of a grid are: as large as they can be, all alike, none of them a slit. */

export interface Box {
  readonly width: number;
  readonly height: number;
}

/** Width by height; in between a tile takes the shape that there is room for. */
const NARROWEST = 9 / 16;
const WIDEST = 16 / 9;

/** Return the size of one of `count` tiles in an area, with `gap` between them, all in pixels. */
export function tileSize(count: number, area: Box, gap: number): Box {
  let best: Box = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const width = (area.width - gap * (columns - 1)) / columns;
    const height = (area.height - gap * (rows - 1)) / rows;
    const tile = {
      width: Math.floor(Math.min(width, height * WIDEST)),
      height: Math.floor(Math.min(height, width / NARROWEST)),
    };
    if (tile.width * tile.height > best.width * best.height) best = tile;
  }
  return best;
}
