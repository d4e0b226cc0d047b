import { NetworkSet } from '../../../src/network/network-set.js'
import { createRemoteRuns } from '../../../src/remote-run/remote-runs.js'
import { createRunRepository } from '../../../src/storage/sqlite/sqlite-runs.js'
import { openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { orderOf, topologyOf, waitForEvent, writeCommand } from '../parts/remote-runs.js'

/** Starts a run of `fast`, `slow` and `later` in the folder given, tells its id once `fast` has ended, and goes on. */
const folder = process.argv[2] ?? ''
const command = writeCommand(
  folder,
  '#!/bin/sh\nfor h; do :; done\necho "$h"\ncase $h in fast*) ;; *) exec sleep 60 ;; esac\n'
)
const topology = topologyOf('self', { fast: 'self', slow: 'self', later: 'self' })
const runs = createRemoteRuns({
  config: {
    enabled: true,
    command,
    useSudo: false,
    batchSize: 1,
    concurrency: 1,
    timeoutMs: 60_000,
    retentionMs: 7 * 86_400_000,
    maxOutputBytes: 1_000_000,
    fallbackCommand: true,
    ownArguments: undefined,
    stderr: false,
    allowedNetworks: NetworkSet.none()
  },
  storagePath: folder,
  selfId: 'self',
  topology: () => topology,
  neighbours: {
    linked: () => undefined,
    down: () => {
      throw new Error('there is none')
    },
    up: () => {
      throw new Error('there is none')
    },
    close: () => Promise.resolve()
  },
  repository: createRunRepository(openDatabase(`${folder}/state.db`, 'state')),
  logger: silentLogger,
  timing: { recordDelayMs: 60_000 }
})
await runs.recover()
const run = await runs.start(orderOf({ nodes: ['fast', 'slow', 'later'] }))
await waitForEvent(run, event => event.node === 'slow' && event.event === 'output')
process.send?.(run.id)
