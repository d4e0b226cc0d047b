import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'

/**
 * Warns when ws masks and unmasks what goes over links in JavaScript, because the addon of bufferutil is not the one in use: then that takes
 * nearly half of the processor time of a link that is busy. Never rejects.
 */
export async function warnWithoutMaskingAddon(logger: Pick<Logger, 'warn'>): Promise<void> {
  const problem = await findProblem()
  if (problem !== undefined) logger.warn({ problem }, 'links are slower: the native addon of bufferutil is not in use')
}

async function findProblem(): Promise<string | undefined> {
  // What ws itself looks at.
  const { WS_NO_BUFFER_UTIL: switchedOff = '' } = process.env
  if (switchedOff !== '') return 'WS_NO_BUFFER_UTIL is set in the environment'
  try {
    // An import that the bundler sees: so it is what ws has, wherever that comes from.
    const { default: bufferUtil } = await import('bufferutil')
    return String(bufferUtil.mask).includes('[native code]')
      ? undefined
      : 'no addon fits this machine; `npm rebuild bufferutil` compiles it, which needs Python 3, make and a C++ compiler'
  } catch (error) {
    return `the package bufferutil cannot be loaded: ${errorMessage(error)}`
  }
}
