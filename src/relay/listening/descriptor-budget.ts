import { readFileSync } from 'node:fs'
import type { Config } from '../../config/config.js'
import type { Logger } from '../../values/logging/logger.js'
import { ConnectionBudget } from './connection-budget.js'

/** Files that the process itself needs, at least: the log, databases, files of callers, commands, connections of its own. */
const LEAST_RESERVE = 64
/** The connections that are left to a listener where the limit has hardly room for the process. */
const LEAST = 16

type Listening = Pick<Config['general'], 'listen' | 'proxyListen' | 'httpsListen' | 'socket'> & {
  /** Listeners for callers of services. */
  readonly ofServices?: number
}

/** The number of listeners that a configuration may open. `localhost` has two addresses. */
export function countListeners({ listen, proxyListen, httpsListen, socket, ofServices = 0 }: Listening): number {
  const others = [proxyListen, httpsListen, socket].filter(setting => setting !== undefined)
  return (listen.host === 'localhost' ? 2 : 1) + others.length + ofServices
}

/**
 * The connections that the listeners of this process may have open. All together leave a part of the files to its work: with
 * connections that take all descriptors, nobody's file could be opened, and no command started. Warns where a listener may have
 * fewer than configured.
 * @param openFiles limit of open files, `undefined` where the system does not tell
 */
export function connectionsOf(
  general: Listening & Pick<Config['general'], 'maxConnections'>,
  logger: Pick<Logger, 'warn'>,
  openFiles = fileLimit()
): ConnectionBudget {
  const { maxConnections: max } = general
  const listeners = countListeners(general)
  if (openFiles === undefined) return new ConnectionBudget({ total: 2 * listeners * max, listeners, max })
  const reserve = Math.max(LEAST_RESERVE, Math.ceil(openFiles / 4))
  const total = Math.max(LEAST * listeners, openFiles - reserve)
  const budget = new ConnectionBudget({ total, listeners, max })
  if (budget.max < max) {
    const facts = { maxConnections: max, connections: budget.max, listeners, openFiles }
    logger.warn(facts, 'fewer connections than general.max_connections: the limit of open files is too low')
  }
  return budget
}

/** How many files this process may have open (Linux). */
function fileLimit(): number | undefined {
  try {
    const found = /^Max open files +(\d+) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return found === undefined ? undefined : Number(found)
  } catch {
    return undefined
  }
}
