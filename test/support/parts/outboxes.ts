import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { HopOutcome } from '../../../src/hops/hop.js'
import { RELAY_HEADER } from '../../../src/network/header-names.js'
import { outcome, startSharedFiles, TestHop, type TestRelay, type TestRelayOptions } from './shared-file-relays.js'

/** The outcome of a request that a Treeline relay answers. */
export function relayOutcome(status: number, text = '', headers: Record<string, string> = {}): HopOutcome {
  return outcome(status, text, { [RELAY_HEADER]: '1', ...headers })
}

/** Starts a root, with the hop to the relay below it: that one is away until the test says how it answers. */
export async function startRoot(
  t: TestContext,
  options: Omit<TestRelayOptions, 'hops'> = {}
): Promise<{ readonly root: TestRelay; readonly down: TestHop }> {
  const down = new TestHop('relay')
  return { root: await startSharedFiles(t, { ...options, hops: [down] }), down }
}

/** The names of the files that wait at a relay: the ids of their entries. */
export function outboxFiles(relay: TestRelay): string[] {
  return readdirSync(join(relay.folder, 'shared-files/.outbox~'))
}

/** The path of a file that waits. @param id of its entry */
export function outboxFile(relay: TestRelay, id = ''): string {
  return join(relay.folder, 'shared-files/.outbox~', id)
}
