import { SealedFileError, UnverifiableError } from '../../file-exchange/download.js'
import { CommandError, UsageError } from '../command-error.js'

/** Adds the options that help to an error of a download. */
export function withDownloadAdvice(error: unknown): unknown {
  if (error instanceof UnverifiableError) {
    return new CommandError(`${error.message} (--allow-unverified)`, undefined, { cause: error })
  }
  if (!(error instanceof SealedFileError)) return error
  const advice = '`treeline fetch --open-key <file>` opens it with its private key, and --keep-sealed takes it as it is'
  return new UsageError(`${error.message}: ${advice}`, { cause: error })
}
