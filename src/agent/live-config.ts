import { isDeepStrictEqual } from 'node:util'
import type { AgentConfig } from '../config/agent/agent-config.js'
import type { UpperAddress } from '../membership/member/policy-server-failover.js'

/** Read at the start alone, as they are called in `agent.conf`; every other setting is in force as soon as it was read again. */
const AT_START: readonly (readonly [name: string, read: (config: AgentConfig) => unknown])[] = [
  ['node_id', config => config.nodeId],
  ['certificate_file', config => config.certificateFile],
  ['key_file', config => config.keyFile],
  ['storage.path', config => config.storage.path],
  ['agent.concurrency', config => config.agent.concurrency],
  ['agent.when_busy', config => config.agent.whenBusy]
]

export interface Change {
  /** Differ, and are in force only after a restart. */
  readonly waiting: readonly string[]
  readonly upstream: boolean
  readonly files: boolean
  /** Whether there were services before. */
  readonly hadServices: boolean
}

export interface LiveConfig {
  /** Each member is the present one whenever it is looked at. */
  readonly config: AgentConfig
  moveUpstream(address: UpperAddress): void
  /** Puts another configuration in force, as far as a running agent can. */
  take(read: AgentConfig): Change
}

/** An agent's configuration, which may change while it runs. */
export function liveConfig(atStart: AgentConfig): LiveConfig {
  let present = atStart
  const config: AgentConfig = {
    directory: atStart.directory,
    nodeId: atStart.nodeId,
    certificateFile: atStart.certificateFile,
    keyFile: atStart.keyFile,
    storage: atStart.storage,
    get signingKeyFile() {
      return present.signingKeyFile
    },
    get upstream() {
      return present.upstream
    },
    get agent() {
      return present.agent
    },
    get receive() {
      return present.receive
    },
    get share() {
      return present.share
    },
    get ownServices() {
      return present.ownServices
    },
    get logging() {
      return present.logging
    },
    get notices() {
      return present.notices
    }
  }
  return {
    config,
    moveUpstream: address => {
      present = { ...present, upstream: { ...present.upstream, ...address } }
    },
    take: read => {
      const before = present
      present = read
      return {
        waiting: AT_START.filter(([, value]) => value(read) !== value(atStart)).map(([name]) => name),
        upstream: !isDeepStrictEqual(before.upstream, read.upstream),
        files: !isDeepStrictEqual([before.receive, before.share], [read.receive, read.share]),
        hadServices: before.ownServices.length > 0
      }
    }
  }
}
