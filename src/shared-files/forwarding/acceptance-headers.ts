import { createHash } from 'node:crypto'
import type { Caller } from '../../network/caller.js'
import { ACCEPTED_AT_HEADER, SERIES_HEADER } from '../../network/header-names.js'
import type { StatedAcceptance } from '../file-types.js'
import type { Acceptance } from '../keeping/file-record.js'

/** The series, the time of acceptance, and the time now, both by the clock of the relay that says so. */
const SERIES = /^([0-9a-f]{32}) ([1-9]\d{0,15}) ([1-9]\d{0,15})$/

/**
 * States the acceptance of a file to the next relay. The number in the series stands for the time, for a relay that knows no
 * series: it is the time, wherever the clock of the first relay was never ahead.
 */
export function acceptanceHeaders({ acceptedAtMs, series, seriesNumber }: Acceptance, nowMs: number) {
  return {
    [ACCEPTED_AT_HEADER]: String(seriesNumber ?? acceptedAtMs),
    ...(series !== undefined && { [SERIES_HEADER]: `${series} ${acceptedAtMs} ${nowMs}` })
  }
}

/**
 * Reads what {@link acceptanceHeaders} states; undefined where that is nothing. A series becomes one of the caller's, so that
 * no relay keeps files out that did not come through it.
 */
export function statedAcceptance(
  header: (name: string) => string | undefined,
  caller: Pick<Caller, 'kind' | 'id'>
): StatedAcceptance | undefined {
  const told = Number(header(ACCEPTED_AT_HEADER))
  if (!isTime(told)) return undefined
  const [, series, ...times] = SERIES.exec(header(SERIES_HEADER) ?? '') ?? []
  const [acceptedAtMs, sentAtMs] = times.map(Number)
  return isTime(acceptedAtMs) && isTime(sentAtMs)
    ? { acceptedAtMs, series: seriesOf(caller, series), seriesNumber: told, sentAtMs }
    : { acceptedAtMs: told, series: undefined, seriesNumber: undefined, sentAtMs: undefined }
}

function seriesOf({ kind, id = '' }: Pick<Caller, 'kind' | 'id'>, series: string | undefined): string {
  return createHash('sha256').update(`${kind}\n${id}\n${series}`).digest('hex').slice(0, 32)
}

function isTime(ms: number | undefined): ms is number {
  return Number.isSafeInteger(ms) && Number(ms) > 0
}
