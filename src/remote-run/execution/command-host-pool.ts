import type { CommandSpec } from './command.js'
import { CommandHost, type RunningCommand } from './command-host.js'

/**
 * The number of hosts. Forking is mostly waiting, so several hosts start more commands a second, each for some 40 MB
 * while runs last.
 */
const MAX_HOSTS = 3

/** Commands that one host has before a further one is used. */
const COMMANDS_PER_HOST = 12

/** The command hosts of a relay: one for a few commands, more for many. */
export class CommandHostPool {
  readonly #hosts: CommandHost[] = []

  start(spec: CommandSpec): RunningCommand {
    return this.#pick().start(spec)
  }

  /** Stops what runs; resolves when no host is left. */
  async close(): Promise<void> {
    await Promise.all(this.#hosts.map(host => host.close()))
  }

  #pick(): CommandHost {
    const roomy = this.#hosts.find(host => host.commandCount < COMMANDS_PER_HOST)
    if (roomy !== undefined) return roomy
    if (this.#hosts.length < MAX_HOSTS) {
      const added = new CommandHost()
      this.#hosts.push(added)
      return added
    }
    return this.#hosts.reduce((least, host) => (host.commandCount < least.commandCount ? host : least))
  }
}
