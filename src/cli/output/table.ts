import type { JsonObject } from '../../relay-client/json-answer.js'
import { printable } from '../../values/text/printable.js'
import { isIsoTime } from '../../values/time/iso-time.js'

/** Rows under headings, columns padded to their longest cell. Cells lose what could move a cursor. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map(row => row.map(printable))
  const widths = headings.map((_, column) =>
    lines.reduce((widest, row) => Math.max(widest, (row[column] ?? '').length), 0)
  )
  return lines
    .map(
      row =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`
    )
    .join('')
}

/** Names and values, a line each. Undefined values are left out. */
export function formatRecord(record: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  const width = Math.max(0, ...entries.map(([name]) => name.length))
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${printable(cell(value))}\n`).join('')
}

/** Columns of a table: what stands under each heading. A value that is no text is shown as {@link cell} does. */
export type Columns = Readonly<Record<string, (item: JsonObject) => unknown>>

/** A table of objects of an answer. */
export function formatList(items: readonly JsonObject[], columns: Columns): string {
  const rows = items.map(item => Object.values(columns).map(column => cell(column(item))))
  return formatTable(Object.keys(columns), rows)
}

/** Prints objects of an answer as a table, or as they came. */
export function printList(items: readonly JsonObject[], columns: Columns, isJson = false): void {
  if (isJson) printJson(items)
  else process.stdout.write(formatList(items, columns))
}

/** A value of JSON in a table. */
export function cell(value: unknown): string {
  if (value === undefined || value === null) return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** A time of an answer, to the second (`2026-01-31T12:00:00Z`), or `-` when it is none. */
export function showTime(time: unknown): string {
  return isIsoTime(time) ? time.replace(/\.\d+/, '') : '-'
}

/** A number of bytes of an answer (`1.5 MiB`), or `-` when it is none. */
export function showBytes(bytes: unknown): string {
  if (typeof bytes !== 'number') return '-'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${(bytes / 1024 ** unit).toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`
}

/** A duration of an answer, in ms (`12 ms`), or `-` when it is none. */
export function showMs(ms: unknown): string {
  return typeof ms === 'number' ? `${ms} ms` : '-'
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}
