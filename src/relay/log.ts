import pino, { type Logger } from 'pino'
import type { Config } from '../config/config.js'

/** Never written out, wherever in a logged object it stands. */
const SECRET_PATHS = ['password', 'token', 'authorization', 'headers.authorization', 'req.headers.authorization', 'key']

/** Structured lines on standard output; readable ones when that is a terminal. */
export async function createLog(
  config: Pick<Config, 'logging'> & { readonly general: Pick<Config['general'], 'nodeId'> }
): Promise<Logger> {
  const options = {
    level: config.logging.level,
    base: { node: config.general.nodeId },
    redact: { paths: SECRET_PATHS, censor: '[secret]' },
    timestamp: pino.stdTimeFunctions.isoTime
  }
  if (!process.stdout.isTTY) return pino(options)
  const { default: pretty } = await import('pino-pretty')
  return pino(options, pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', singleLine: true }))
}
