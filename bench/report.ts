import { type Check, comparedValue, isWithinBound, type Row, type Unit } from './support/row.js'

/** A row as it came out. */
export interface RowResult extends Pick<Row, 'name' | 'what' | 'reference' | 'bound'> {
  readonly checks: readonly Check[]
  readonly notes: readonly string[]
  readonly passed: boolean
}

/** Some lines for a terminal or a log. */
export function plainText(result: RowResult): string {
  return [
    `${mark(result.passed)}  ${result.name}`,
    ...result.checks.map(check => `      ${checkText(check)}: ${mark(isWithinBound(check))}`),
    ...result.notes.map(note => `      (${note})`)
  ].join('\n')
}

/** The table of `docs/benchmarks.md`. */
export function markdownTable(results: readonly RowResult[]): string {
  const lines = results.map(result => {
    const measured = [...result.checks.map(checkText), ...result.notes.map(note => `(${note})`)].join('<br>')
    return `| ${result.what} | ${result.reference} | ${result.bound} | ${measured} | ${mark(result.passed)} |`
  })
  return ['| what | reference | bound | measured | |', '| --- | --- | --- | --- | --- |', ...lines].join('\n')
}

function checkText(check: Check): string {
  const value = `${check.what} ${number(check.value, check.unit)}`
  const bound = 'atMost' in check.bound ? `at most ${check.bound.atMost}` : `at least ${check.bound.atLeast}`
  if (check.reference === undefined) return `${value} (${bound} ${check.unit})`
  return `${value} against ${number(check.reference, check.unit)}: ${comparedValue(check).toFixed(2)} (${bound})`
}

function number(value: number, unit: Unit): string {
  const digits = unit === '/s' || unit === 'MiB' || unit === 'KiB' ? 0 : unit === 'ms' ? 1 : 3
  return `${value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`
}

function mark(passed: boolean): string {
  return passed ? 'PASS' : 'FAIL'
}
