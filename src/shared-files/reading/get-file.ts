import type { Hop, Neighbours } from '../../hops/hop.js'
import { HopSlots } from '../../hops/hop-slots.js'
import type { Origin } from '../../network/caller.js'
import { PASSED_HEADER, REQUEST_ID_HEADER } from '../../network/header-names.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { asDiskFailure } from '../../values/failures/disk-failure.js'
import { HopRefusedError, RelayError } from '../../values/failures/relay-error.js'
import { isMissing } from '../../values/failures/system-error.js'
import { checkFileKey, type FileKey } from '../../values/ids.js'
import { formatPassed, passOn } from '../../values/passed-relays.js'
import type { FoundFile, KeptFile, RelayedFile } from '../file-types.js'
import { readStart } from '../forwarding/hop-transfer.js'
import { checkNotBack, nextStep } from '../forwarding/next-step.js'
import { isKeptOnBehalf, relaysOnTheWay } from '../forwarding/on-behalf.js'
import { type FileLayout, folderOf, keyName, pathOf } from '../keeping/file-layout.js'
import type { StoredFile } from '../keeping/file-record.js'
import type { Keeping } from '../keeping/keeping.js'
import { checkMayRead } from './read-access.js'

export interface GetParts extends Pick<Keeping, 'layout' | 'folders' | 'files' | 'lock' | 'now'> {
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly recheckFile: (key: FileKey) => Promise<boolean>
}

/** Request headers that the hop which has the file acts upon. */
const PASSED_ON = ['range', 'if-match', 'if-none-match', 'if-range'] as const

/** GETs passed on to one hop, each until its reader has the file: few, as each may fill a window of the link to it. */
export const MAX_GETS_PER_HOP = 32

/** 416: the answer says in its headers which ranges there are. */
const RANGE_NOT_SATISFIABLE = 416

export function createGet(parts: GetParts) {
  const { topology, files, now } = parts
  const slots = new HopSlots(MAX_GETS_PER_HOP)

  /** Finds a file that is kept here. While a newer copy is being put in place, the record is ahead of the file. */
  async function findKept(key: FileKey): Promise<StoredFile | undefined> {
    if (parts.lock.isHeld(keyName(key))) (await parts.lock.acquire(keyName(key)))()
    const kept = await files.find(key)
    return kept !== undefined && kept.expiresAtMs > now() ? kept : undefined
  }

  /**
   * Checks the file's folder. A folder that leads elsewhere is reported; a missing one is found when the file is
   * opened.
   */
  async function checkFolder(kept: StoredFile): Promise<void> {
    await parts.folders
      .enter(folderOf(parts.layout, kept), async () => undefined)
      .catch(error => {
        if (!isMissing(error)) throw asDiskFailure(error, [{ setting: 'shared_files.path', path: parts.layout.root }])
      })
  }

  async function relay(
    hop: Hop,
    key: FileKey,
    origin: Origin,
    headers: Readonly<Record<string, string>>
  ): Promise<RelayedFile> {
    const leave = await slots.take(hop.id, origin)
    if (leave === undefined) {
      throw new RelayError('BUSY', `too many files are being fetched through ${hop.id}; ask again in a moment`)
    }
    try {
      const relayed = await ask(hop, key, origin, headers)
      relayed.body.once('close', leave)
      if (relayed.body.destroyed) leave()
      return relayed
    } catch (error) {
      leave()
      throw error
    }
  }

  async function ask(hop: Hop, key: FileKey, origin: Origin, headers: Readonly<Record<string, string>>) {
    const sent: Record<string, string> = {
      [PASSED_HEADER]: formatPassed(passOn(origin.passed, parts.selfId)),
      [REQUEST_ID_HEADER]: origin.requestId
    }
    for (const name of PASSED_ON) {
      const value = headers[name]
      if (value !== undefined) sent[name] = value
    }
    const path = `shared-files/${key.target}/${key.source}/${key.fileId}`
    const outcome = await hop.request({ method: 'GET', path, headers: sent, weight: 'bulk', signal: origin.signal })
    if (outcome.kind === 'unreachable') {
      throw new RelayError(
        'HOP_UNREACHABLE',
        `${hop.id}, which leads to ${key.target}, cannot be reached: ${outcome.reason}`
      )
    }
    if (outcome.kind === 'answered' || outcome.status === RANGE_NOT_SATISFIABLE) {
      const { status, headers: answered, body } = outcome
      return { kind: 'relayed', status, headers: answered, body } satisfies RelayedFile
    }
    const message = await readStart(outcome.body)
    if (outcome.status === 404) throw notFound(key)
    throw new HopRefusedError(hop.id, outcome.status, message || `${hop.id} answered ${outcome.status}`)
  }

  return async (
    key: FileKey,
    origin: Origin,
    headers: Readonly<Record<string, string>>
  ): Promise<FoundFile | RelayedFile> => {
    checkFileKey(key)
    passOn(origin.passed, parts.selfId)
    const step = nextStep(key.target, topology, parts.neighbours)
    if (step.kind === 'up') {
      throw new RelayError(
        'UNKNOWN_NODE',
        `${key.target} is not below this relay, and files are fetched downwards only; ask a relay above both`
      )
    }
    const mayBeKept = step.kind === 'here' || isKeptOnBehalf(step, parts.neighbours)
    const found = mayBeKept ? await findKept(key) : undefined
    const kept = step.kind === 'here' || found?.via === relaysOnTheWay(key.target, topology()) ? found : undefined
    checkMayRead(key.target, origin.caller, step.kind === 'here' || kept !== undefined, topology())
    if (kept !== undefined) {
      await checkFolder(kept)
      const isCurrent = async () => isSame(kept, await files.find(key))
      const folder = folderOf(parts.layout, kept)
      const within: FoundFile['within'] = work => parts.folders.enter(folder, at => work(`${at}/${kept.fileId}`))
      return { ...keptFile(parts.layout, kept), within, isCurrent, recheck: () => parts.recheckFile(kept) }
    }
    if (step.kind === 'here') throw notFound(key)
    checkNotBack(step, origin, key.target)
    return relay(step.hop, key, origin, headers)
  }
}

function keptFile(layout: FileLayout, kept: StoredFile): KeptFile {
  const { sizeBytes, hash, algorithm, storedAtMs, expiresAtMs, metadata } = kept
  return { kind: 'kept', path: pathOf(layout, kept), sizeBytes, hash, algorithm, storedAtMs, expiresAtMs, metadata }
}

/** A version is told by its `spool` as well; that it was marked as durable meanwhile, and has none any more, changes no byte. */
function isSame(kept: StoredFile, after: StoredFile | undefined): boolean {
  if (after === undefined || after.hash !== kept.hash || after.storedAtMs !== kept.storedAtMs) return false
  return after.spool === kept.spool || after.spool === undefined
}

function notFound(key: FileKey): RelayError {
  return new RelayError('NOT_FOUND', `no such file: ${keyName(key)}; it may have expired, or never come`)
}
