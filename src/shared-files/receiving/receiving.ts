import type { Config } from '../../config/config.js'
import type { Neighbours } from '../../hops/hop.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { Forwarding } from '../forwarding/forwarding.js'
import type { Keeping } from '../keeping/keeping.js'
import { AcceptanceClock } from './acceptance-clock.js'
import type { PaceLimits } from './body-reader.js'
import { createDelivery } from './delivery.js'
import { Put } from './put.js'
import { UploadAdmission } from './upload-admission.js'

export interface ReceivingOptions {
  readonly config: Config['sharedFiles']
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  /** The folder of the setting `storage.path`, to be named where its disk is full or broken. */
  readonly storagePath: string
  readonly pace: PaceLimits
  /** Bodies being received at once; each takes up to about 0.6 MB of memory. */
  readonly maxUploads: number
}

/** Puts the parts of this room together. */
export function createReceiving(keeping: Keeping, forwarding: Forwarding, options: ReceivingOptions): Put {
  const { config, selfId, topology, neighbours, storagePath, pace, maxUploads } = options
  const { files, now } = keeping
  const acceptance = new AcceptanceClock(now, number => files.raiseAcceptanceMark(number))
  return new Put({
    ...keeping,
    outboxRepository: forwarding.outboxRepository,
    selfId,
    topology,
    neighbours,
    rules: config,
    pace,
    uploads: new UploadAdmission(maxUploads),
    storageFolders: [
      { setting: 'storage.path', path: storagePath },
      { setting: 'shared_files.path', path: config.path }
    ],
    deliver: createDelivery({ ...keeping, ...forwarding, topology, acceptance })
  })
}
