import type { Neighbours } from '../hops/hop.js'
import { FORM } from '../network/header-names.js'
import type { CurrentTopology } from '../tree/topology.js'
import type { FileKey } from '../values/ids.js'
import type { Logger } from '../values/logging/logger.js'

export interface FileArrivalNoticesOptions {
  readonly neighbours: Pick<Neighbours, 'linked'>
  readonly topology: CurrentTopology
  readonly logger: Logger
}

/** The number of notices under way. Further ones are dropped: an agent also looks by itself. */
const MAX_UNDER_WAY = 1_000
const LIMIT_MS = 10_000

/** Tells a node's agent, over its link, that a file for it has come here. Whether it fetches the file is its business. */
export function createFileArrivalNotices({
  neighbours,
  topology,
  logger
}: FileArrivalNoticesOptions): (key: FileKey) => void {
  let underWay = 0

  async function tell({ target, source, fileId }: FileKey): Promise<void> {
    const hop = neighbours.linked(target)
    if (hop === undefined) return
    const outcome = await hop.request({
      method: 'POST',
      path: 'agent/files',
      headers: { 'content-type': FORM },
      body: () => Buffer.from(new URLSearchParams({ source, file_id: fileId }).toString()),
      silenceLimitMs: LIMIT_MS
    })
    if (outcome.kind !== 'unreachable') outcome.body.resume()
    if (outcome.kind !== 'answered') logger.debug({ target, source, fileId }, 'cannot notify the agent of a file')
  }

  return key => {
    if (underWay >= MAX_UNDER_WAY || topology().isRelay(key.target) || neighbours.linked(key.target) === undefined)
      return
    underWay += 1
    tell(key)
      .catch((err: unknown) => logger.error({ err }, 'cannot notify an agent of a file'))
      .finally(() => {
        underWay -= 1
      })
  }
}
