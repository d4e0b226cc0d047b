import { join } from 'node:path'
import { ROOT_ID } from '../values/ids.js'
import type { Config } from './config.js'
import type { Section } from './readers/section.js'
import { duration, MAX_TIMER_MS, oneOf, pathFrom } from './readers/value-readers.js'

/** Renewing must be possible in what is left when two thirds are over. */
const SHORTEST_LIFE_MS = 3_000
const LONGEST_LIFE_MS = 10 * 365 * 24 * 3_600_000

const LONGEST_GRACE_MS = 365 * 24 * 3_600_000

/**
 * Reads `[tree]`: the nodes come from files that others write, from the members that joined, or from the policy
 * server.
 */
export function readTree(section: Section, nodeId: string, directory: string): Config['tree'] {
  const source = section.read('source', oneOf('files', 'members', 'policy-server'), 'files')
  if (source === 'members' && nodeId !== ROOT_ID) {
    section.problem('source', `"members" is for "${ROOT_ID}" alone, which has the members of the whole tree`)
  } else if (source === 'policy-server' && nodeId === ROOT_ID) {
    section.problem('source', `"${ROOT_ID}" has no policy server that it could get its nodes from`)
  }
  return {
    source,
    refreshMs: section.read('refresh', duration(1_000, MAX_TIMER_MS), '1min'),
    caFile: section.read('ca_file', pathFrom(directory), 'ca.pem'),
    caKeyFile: section.read('ca_key_file', pathFrom(directory), 'ca.key'),
    certificateLifetimeMs: section.read('certificate_lifetime', duration(SHORTEST_LIFE_MS, LONGEST_LIFE_MS), '90days'),
    renewalGraceMs: section.read('renewal_grace', duration(0, LONGEST_GRACE_MS), '30days')
  }
}

/**
 * The settings of `[general]` with the two files of the tree where they are for its source: the relay writes them
 * itself unless it is `files`.
 * @param main the section with the settings that are then not followed
 */
export function placeTreeFiles(
  main: Section,
  general: Config['general'],
  source: Config['tree']['source'],
  storagePath: string
): Config['general'] {
  if (source === 'files') return general
  for (const key of ['nodes_list_file', 'nodes_certs_file']) {
    if (main.raw(key) === undefined) continue
    main.notice('warning', key, `not used, since tree.source is "${source}"`)
  }
  return {
    ...general,
    nodesListFile: join(storagePath, 'tree', 'nodeslist.json'),
    nodesCertsFile: join(storagePath, 'tree', 'allnodescerts.pem')
  }
}
