import type { Origin } from '../../network/caller.js'
import { TurnLimit } from '../../process/pacing/turn-limit.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkNodeId } from '../../values/ids.js'
import type { ListedKeptFile } from '../keeping/file-record.js'
import type { FileRepository } from '../keeping/file-repository.js'
import { checkMayRead } from './read-access.js'

/** Files listed at once; a node that has more asks for them by name. */
const MAX_LISTED = 1_000

export interface ListParts {
  readonly topology: CurrentTopology
  readonly files: Pick<FileRepository, 'forTarget'>
  readonly now: () => number
}

/**
 * Lists the files that are kept here for a node, whoever sent them. Lists are mostly short, but callers may ask for many long ones at
 * once: others have their turn in between.
 */
export function createList({ topology, files, now }: ListParts) {
  const turns = new TurnLimit()
  return async (target: string, fileId: string | undefined, origin: Origin): Promise<ListedKeptFile[]> => {
    checkNodeId(target)
    checkMayRead(target, origin.caller, true, topology())
    await turns.next()
    if (origin.signal.aborted) throw whyGone(origin.signal)
    return files.forTarget(target, fileId, now(), MAX_LISTED)
  }
}

function whyGone({ reason }: AbortSignal): RelayError {
  return reason instanceof RelayError ? reason : new RelayError('CLIENT_GONE', 'the caller has gone')
}
