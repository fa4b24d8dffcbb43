/** A table of one part of a list, with the way to the parts before and behind it. */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { count } from "../format";
import { PAGE, type Pages } from "../pages";
import { Trouble } from "./words";

export interface Column<T> {
  readonly name: string;
  readonly cell: (item: T) => ComponentChildren;
  /** Numbers stand to the right; what is minor is left out where there is little room. */
  readonly as?: "number" | "minor" | "minor number" | "wide" | undefined;
}

interface TableProps<T> {
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly items: readonly T[];
  readonly keyOf: (item: T) => string;
  readonly busy?: boolean;
}

/** The first column names its row. */
export function Table<T>({ caption, columns, items, keyOf, busy = false }: TableProps<T>) {
  return (
    <div class="table-frame">
      <table class="table" aria-busy={busy}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, as }) => (
              <th key={name} scope="col" class={as}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <Row key={keyOf(item)} item={item} columns={columns} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A row whose item is the one of before stays as it was drawn: Reading keeps those that have not changed. */
function Row<T>({ item, columns }: { item: T; columns: readonly Column<T>[] }) {
  return useMemo(
    () => (
      <tr>
        {columns.map(({ name, cell, as }, at) =>
          at === 0 ? (
            <th key={name} scope="row" class={as}>
              {cell(item)}
            </th>
          ) : (
            <td key={name} class={as}>
              {cell(item)}
            </td>
          ),
        )}
      </tr>
    ),
    [item, columns],
  );
}

interface PagedProps<T> extends Omit<TableProps<T>, "items" | "busy"> {
  readonly pages: Pages<T>;
  /** How many there are in all, where REST counts them. */
  readonly total?: number | undefined;
  /** What is said when nothing is there. */
  readonly none: string;
}

export function PagedTable<T>({ pages, total, none, ...table }: PagedProps<T>) {
  const part = pages.reading.value.value;
  const stale = pages.reading.stale.value;
  const first = pages.before * PAGE + 1;
  const items = part?.items ?? [];
  return (
    <>
      <Trouble problem={pages.reading.problem.value} />
      {part && items.length === 0 && <p class="none">{pages.before > 0 ? "Nothing is left here." : none}</p>}
      {items.length > 0 && <Table {...table} items={items} busy={stale} />}
      {part && (
        <nav class="pager" aria-label={`Parts of the table ${table.caption}`}>
          <p aria-live="polite">
            {items.length > 0 && `${count(first)} to ${count(first + items.length - 1)}`}
            {items.length > 0 &&
              total !== undefined &&
              ` of ${count(Math.max(total, first + items.length - 1))}`}
          </p>
          {(pages.before > 0 || part.next) && (
            <>
              <button
                type="button"
                class="button"
                disabled={pages.before === 0}
                onClick={() => pages.backwards()}
              >
                Previous
              </button>
              <button type="button" class="button" disabled={!part.next} onClick={() => pages.forwards()}>
                Next
              </button>
            </>
          )}
        </nav>
      )}
    </>
  );
}
