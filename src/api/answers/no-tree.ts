import type { FastifyContextConfig } from 'fastify'
import type { Caller } from '../../network/caller.js'
import { RelayError } from '../../values/failures/relay-error.js'
import type { Access } from '../callers/access.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers with what is in the tree, though its `access` is one of others that do not. */
    asksTree?: boolean
  }
}

/**
 * Groups of routes whose answers depend on where nodes are. Remote runs look for themselves: their order may bring
 * the tree along.
 */
const ASKS_TREE: ReadonlySet<Access> = new Set(['shared-files-write', 'shared-files-read', 'trace', 'tree'])
/** Callers that may turn out to be a node or relay once there is a tree. */
const UNKNOWN_KINDS: ReadonlySet<Caller['kind']> = new Set(['network', 'proxied'])
const NEEDS_NOBODY: ReadonlySet<Access> = new Set(['open', 'observation', 'system'])

/**
 * A relay that has no tree knows nobody, which is no answer that counts: "unknown" or "forbidden" would be final.
 * @throws {RelayError} NO_TREE where the answer, or who is asking, depends on the tree
 */
export function checkNeedsNoTree({ access, asksTree }: FastifyContextConfig, caller: Caller): void {
  if (access === undefined) return
  const isUnknown = UNKNOWN_KINDS.has(caller.kind) && !NEEDS_NOBODY.has(access)
  if (asksTree === true || isUnknown || ASKS_TREE.has(access)) throw noTree()
}

function noTree(): RelayError {
  return new RelayError('NO_TREE', 'this relay has no tree yet (system/status says why); ask again in a minute')
}
