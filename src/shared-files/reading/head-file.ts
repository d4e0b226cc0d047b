import type { Hop, HopOutcome, Neighbours } from '../../hops/hop.js'
import { HopSlots } from '../../hops/hop-slots.js'
import type { Origin } from '../../network/caller.js'
import { PASSED_HEADER, REQUEST_ID_HEADER } from '../../network/header-names.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { HopRefusedError } from '../../values/failures/relay-error.js'
import { checkFileKey, type FileKey } from '../../values/ids.js'
import { formatPassed, passOn } from '../../values/passed-relays.js'
import type { Forwarding } from '../forwarding/forwarding.js'
import { readStart } from '../forwarding/hop-transfer.js'
import { checkNotBack, type NextStep, nextStep } from '../forwarding/next-step.js'
import { isKeptOnBehalf, relaysOnTheWay } from '../forwarding/on-behalf.js'
import { keyName } from '../keeping/file-layout.js'
import type { FileHash } from '../keeping/file-repository.js'
import type { Keeping } from '../keeping/keeping.js'

/** HEADs under way to one hop: a part of its connections, so that this relay's other requests always find one. */
export const MAX_HEADS_PER_HOP = 96

/** How long a HEAD may take at a hop. It only saves an upload, which is not worth a longer wait. */
export const HEAD_LIMIT_MS = 5_000

export interface HeadParts
  extends Pick<Keeping, 'files' | 'cache' | 'now'>,
    Pick<Forwarding, 'outbox' | 'backoff' | 'legacyLoopGuard'> {
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly wakeOutbox: () => void
}

type Elsewhere = Exclude<NextStep, { readonly kind: 'here' }>

/** The relay below which the files of this relay's own nodes are: none. */
const HERE = ''

/**
 * Whether a file is here. The hottest path of all: no allocation but the name, and mostly no question to the repository;
 * then the answer is synchronous.
 */
function createKeptLookup({ files, cache, now }: Pick<HeadParts, 'files' | 'cache' | 'now'>) {
  function isThis(file: FileHash, hash: string, via: string): boolean {
    return file.via === via && (file.hash === hash || file.hash === hash.toLowerCase()) && file.expiresAtMs > now()
  }

  async function lookUp(name: string, key: FileKey, hash: string, via: string): Promise<boolean> {
    const file = await cache.lookUp(name, () => files.findHash(key))
    return file !== undefined && isThis(file, hash, via)
  }

  return (key: FileKey, hash: string, via: string): boolean | Promise<boolean> => {
    if (hash === '') return false
    const name = keyName(key)
    const file = cache.get(name)
    if (file !== undefined) return isThis(file, hash, via)
    checkFileKey(key)
    return lookUp(name, key, hash, via)
  }
}

export function createHead(parts: HeadParts) {
  const { selfId, topology, outbox, backoff, legacyLoopGuard } = parts
  const isKept = createKeptLookup(parts)
  const slots = new HopSlots(MAX_HEADS_PER_HOP)

  /** Without a slot or an answer in time it is as with a hop that cannot be reached: the file is not there. */
  async function ask(hop: Hop, key: FileKey, hash: string, origin: Origin, passed: string[]): Promise<boolean> {
    if (backoff.hasJustFailed(hop.id)) return false
    const path = `shared-files/${key.target}/${key.source}/${key.fileId}?hash=${encodeURIComponent(hash)}`
    const headers = { [PASSED_HEADER]: formatPassed(passed), [REQUEST_ID_HEADER]: origin.requestId }
    const asked = await slots.during(hop.id, origin, HEAD_LIMIT_MS, async signal =>
      readOutcome(hop, await hop.request({ method: 'HEAD', path, headers, signal }))
    )
    // Silence is no failure of this hop: it may wait for one far behind it, and takes files all the same.
    return asked.kind === 'done' && asked.value
  }

  async function readOutcome(hop: Hop, outcome: HopOutcome): Promise<boolean> {
    if (outcome.kind === 'unreachable') {
      // One that answers, but with an error, may still take files: that a PUT finds out.
      if (outcome.status === undefined) backoff.failed(hop.id)
      return false
    }
    await readStart(outcome.body)
    if (backoff.succeeded(hop.id)) parts.wakeOutbox()
    if (outcome.kind === 'answered') return true
    if (outcome.status === 404) return false
    throw new HopRefusedError(hop.id, outcome.status, `${hop.id} answered ${outcome.status}`)
  }

  /** Looks for a file for a node below or above: on its way here, or at the next relay. */
  async function lookElsewhere(step: Elsewhere, key: FileKey, hash: string, origin: Origin, passed: string[]) {
    const waiting = await outbox.pending(key)
    if (waiting !== undefined) return waiting.hash === hash.toLowerCase()
    const isOnBehalf = isKeptOnBehalf(step, parts.neighbours)
    if (isOnBehalf && (await isKept(key, hash, relaysOnTheWay(key.target, topology())))) return true
    if (legacyLoopGuard.isBack('HEAD', key, hash, origin.caller)) return false
    return legacyLoopGuard.during('HEAD', step.hop, key, hash, () => ask(step.hop, key, hash, origin, passed))
  }

  return (key: FileKey, hash: string, origin: Origin): boolean | Promise<boolean> => {
    const isHere = topology().route(key.target).kind === 'here'
    if (isHere && origin.passed.length === 0) {
      if (hash === '') checkFileKey(key)
      return isKept(key, hash, HERE)
    }
    checkFileKey(key)
    const passed = passOn(origin.passed, selfId)
    const step = nextStep(key.target, topology, parts.neighbours)
    if (step.kind === 'here') return isKept(key, hash, HERE)
    checkNotBack(step, origin, key.target)
    if (hash === '') return false
    return lookElsewhere(step, key, hash, origin, passed)
  }
}
