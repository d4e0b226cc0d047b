import type { IncomingMessage } from 'node:http'
import { REGISTER_PATH } from '../../wire/protocol.js'

/** Whether a request to upgrade is for a link, or a lane of one. */
export function isLinkUpgrade({ url = '' }: IncomingMessage): boolean {
  const end = url.indexOf('?')
  return (end === -1 ? url : url.slice(0, end)) === REGISTER_PATH
}
