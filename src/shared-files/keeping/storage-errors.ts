import { errorCode } from '../../values/failures/system-error.js'

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}
