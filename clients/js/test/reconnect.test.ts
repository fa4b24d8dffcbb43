import assert from "node:assert/strict";
import { test } from "node:test";
import { waitBefore } from "../src/index.js";

const backoff = { firstMs: 100, capMs: 1000 };

test("waits lie anywhere between nothing and a bound that doubles up to its cap", () => {
  const longest = [0, 1, 2, 3, 4, 5, 500].map((attempt) => waitBefore(attempt, backoff, () => 1));
  const shortest = waitBefore(3, backoff, () => 0);

  assert.deepEqual(longest, [100, 200, 400, 800, 1000, 1000, 1000]);
  assert.equal(shortest, 0);
});
