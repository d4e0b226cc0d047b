import { ROOT_ID } from '../values/ids.js'
import type { Config } from './config.js'
import type { Section } from './readers/section.js'
import { duration, flag, MAX_TIMER_MS, oneOf, wholeNumber } from './readers/value-readers.js'

/** A shorter one would end connections that are well. */
const SHORTEST_LIMIT_MS = 1_000

/** Reads `[links]`. */
export function readLinks(section: Section, general: Config['general']): Config['links'] {
  const links: Config['links'] = {
    accept: section.read('accept', flag, true),
    max: section.read('max', wholeNumber(1, 1_000_000), 20_000),
    dial: section.read('dial', flag, false),
    pingIntervalMs: section.read('ping_interval', duration(SHORTEST_LIMIT_MS, MAX_TIMER_MS), '14s'),
    longestWaitMs: section.read('longest_wait', duration(SHORTEST_LIMIT_MS, MAX_TIMER_MS), '30s'),
    tlsCertificate: section.read('tls_certificate', flag, false),
    lane: section.read('lane', oneOf('auto', 'websocket'), 'auto')
  }
  if (links.dial && general.nodeId === ROOT_ID) {
    section.problem('dial', `"${ROOT_ID}" has no policy server that it could hold a link to`)
  } else if (links.dial && general.httpsCertificateFile === undefined) {
    section.problem('dial', 'a link needs general.https_certificate_file and general.https_key_file')
  }
  return links
}
