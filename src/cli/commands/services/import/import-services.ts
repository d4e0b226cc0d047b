import { basename, resolve } from 'node:path'
import { parse, stringify } from 'smol-toml'
import { appendText } from '../../../../file-exchange/places/append-text.js'
import { readNamedFile } from '../../../../file-exchange/places/named-file.js'
import { makeFoldersTo } from '../../../../file-exchange/places/named-place.js'
import { readTextFile } from '../../../../file-system/files/text-file.js'
import { writeNewFile } from '../../../../file-system/files/write-new-file.js'
import { whyUnreadable } from '../../../../values/failures/file-failure.js'
import { errorCode, errorMessage } from '../../../../values/failures/system-error.js'
import { EXIT, UsageError } from '../../../command-error.js'
import { printDiagnostic } from '../../../output/diagnostic.js'
import { printJson } from '../../../output/table.js'
import type { SecretFile } from './birger-credentials.js'
import { type BirgerImport, importBirgerServices } from './birger-services.js'

/** The options of `treeline services import`. */
export interface ImportOptions {
  readonly append?: string
  readonly secrets?: string
  readonly mounts: string
  readonly json?: boolean
}

const SECRET_MODE = 0o600
const FOLDER_MODE = 0o700

/** Prints, or adds to a configuration, the services of birger's `services.yaml`. Exit code 1 where enabled ones are left out. */
export async function importServices(path: string, options: ImportOptions): Promise<void> {
  const config = options.append === undefined ? undefined : resolve(options.append)
  const text = await readNamedFile('services.yaml', path)
  const before = config === undefined ? '' : await readConfig(config)
  // Paths in a configuration count from its folder.
  const secrets = options.secrets === undefined ? 'secrets' : resolve(options.secrets)
  const found = importBirgerServices(text, basename(path), { secrets, mounts: options.mounts })
  if (config !== undefined) checkAppended(before, found, config)
  const isWritten = options.secrets !== undefined
  if (!isWritten && config !== undefined && found.secrets.length > 0) {
    throw new UsageError(
      '--secrets <folder> is needed: the file has secrets, and a configuration names files with them'
    )
  }
  for (const { line, text: remark } of found.remarks) printDiagnostic(`${basename(path)}:${line}: ${remark}`)
  if (isWritten) await writeSecrets(found.secrets)
  else {
    for (const { path: file } of found.secrets) {
      printDiagnostic(`the file ${file} is not written: --secrets <folder> puts the secrets of the file there`)
    }
  }
  if (config !== undefined) await append(config, before, found)
  show(found, config, options.json === true)
  if (found.leftOut > 0) process.exitCode = EXIT.failure
}

function blocksOf({ services }: BirgerImport): string {
  return services.length === 0 ? '' : stringify({ service: services })
}

async function readConfig(path: string): Promise<string> {
  try {
    return await readTextFile(path)
  } catch (error) {
    throw new UsageError(whyUnreadable('--append', path, error), { cause: error })
  }
}

/** @throws {UsageError} where the configuration would not be one, or would have a key twice */
function checkAppended(before: string, found: BirgerImport, path: string): void {
  try {
    parse(`${before}\n${blocksOf(found)}`)
  } catch (error) {
    throw new UsageError(`--append ${path}: it would be no TOML: ${errorMessage(error).split('\n', 1)[0]}`)
  }
  const { service } = parse(before)
  const keys = new Set(Array.isArray(service) ? service.map(one => Object(one).key) : [])
  const twice = found.services.find(({ key }) => keys.has(key))
  if (twice !== undefined) throw new UsageError(`--append ${path}: it has a service ${twice.key} already`)
}

/** Nothing is replaced: what is there may be a newer secret. */
async function writeSecrets(secrets: readonly SecretFile[]): Promise<void> {
  for (const { path, content } of secrets) {
    try {
      await makeFoldersTo(path, FOLDER_MODE)
      await writeNewFile(path, content, SECRET_MODE)
    } catch (error) {
      const why = errorCode(error) === 'EEXIST' ? 'it is there already; move it away first' : errorMessage(error)
      throw new UsageError(`--secrets: cannot write ${path}: ${why}`, { cause: error })
    }
  }
}

async function append(path: string, before: string, found: BirgerImport): Promise<void> {
  const separator = before === '' ? '' : before.endsWith('\n') ? '\n' : '\n\n'
  if (found.services.length > 0) await appendText(path, separator + blocksOf(found))
}

function show(found: BirgerImport, config: string | undefined, isJson: boolean): void {
  const { services, secrets, remarks, leftOut } = found
  if (isJson) {
    const files = secrets.map(({ path }) => path)
    printJson({
      services,
      secrets: files,
      remarks,
      left_out: leftOut,
      ...(config === undefined ? {} : { file: config })
    })
  } else if (config === undefined) process.stdout.write(blocksOf(found))
  else printDiagnostic(`added to ${config}: ${services.map(({ key }) => key).join(', ') || 'nothing'}`)
}
