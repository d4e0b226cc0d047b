import type { RevocationList } from '../../membership/revocations/revocation-list.js'
import { header } from './prometheus-text.js'

/** The state of the list of revoked certificates. */
export interface RevocationState {
  readonly list: RevocationList
  /** When the policy server last answered which one is the newest, ms since 1970; 0 for never, undefined where nobody is asked. */
  readonly answeredAtMs: number | undefined
}

/** Gauges of the list of revoked certificates, read at each scrape. @param state undefined: no list counts here */
export function revocationGauges(state: RevocationState | undefined): string[] {
  const number = 'treeline_revocation_list_number'
  const entries = 'treeline_revocation_list_entries'
  const confirmed = 'treeline_revocation_list_confirmed_timestamp_seconds'
  const answeredAtMs = state?.answeredAtMs
  return [
    ...header(number, 'Number of the list of revoked certificates in force; 0 for none', 'gauge'),
    ...(state === undefined ? [] : [`${number} ${state.list.number}`]),
    ...header(entries, 'Certificates on that list', 'gauge'),
    ...(state === undefined ? [] : [`${entries} ${state.list.entries.length}`]),
    ...header(confirmed, 'When the policy server last answered which list is the newest; 0 for never', 'gauge'),
    ...(answeredAtMs === undefined ? [] : [`${confirmed} ${answeredAtMs / 1_000}`])
  ]
}
