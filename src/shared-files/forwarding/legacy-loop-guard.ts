import type { Hop } from '../../hops/hop.js'
import type { Caller } from '../../network/caller.js'
import type { FileKey } from '../../values/ids.js'
import { keyName } from '../keeping/file-layout.js'

type Method = 'HEAD' | 'PUT'

/**
 * The questions that existing relays below are being asked now. One that does not know a node yet, since its nodes
 * list is behind ours, sends the question back up, and without the list of relays that it passed: it would go round
 * for ever.
 */
export interface LegacyLoopGuard {
  /** Does `work`, which asks `hop` for or about a file with this hash. */
  during<T>(method: Method, hop: Hop, key: FileKey, hash: string, work: () => Promise<T>): Promise<T>
  /**
   * Whether a request is one that such a relay has sent back. Someone else may ask the very same at the very same
   * moment: to him, "not there" is an answer that does no harm.
   */
  isBack(method: Method, key: FileKey, hash: string, caller: Caller): boolean
}

export function createLegacyLoopGuard(): LegacyLoopGuard {
  const underWay = new Map<string, number>()

  return {
    async during(method, hop, key, hash, work) {
      if (hop.dialect.listsPassedRelays) return work()
      const name = nameOf(method, key, hash)
      underWay.set(name, (underWay.get(name) ?? 0) + 1)
      try {
        return await work()
      } finally {
        const left = (underWay.get(name) ?? 1) - 1
        if (left > 0) underWay.set(name, left)
        else underWay.delete(name)
      }
    },
    isBack(method, key, hash, { kind }) {
      if (underWay.size === 0 || kind === 'policy-server' || kind === 'relay') return false
      return underWay.has(nameOf(method, key, hash))
    }
  }
}

function nameOf(method: Method, key: FileKey, hash: string): string {
  return `${method} ${keyName(key)} ${hash.toLowerCase()}`
}
