import { join } from 'node:path'
import {
  AWS_ENVIRONMENT,
  AWS_SESSION_KEY,
  type AwsCredentialsConfig,
  SECRET_KEYS
} from '../../config/services/service-config.js'
import { isMissing } from '../../values/failures/system-error.js'
import { filesOfPlace, readServiceFile, settingOf } from '../credentials/secret-text.js'
import { type SecretOwner, WatchedSecret } from '../credentials/watched-secret.js'
import type { AwsCredentials, AwsKeys } from './aws-keys.js'
import { type FoundKeys, readAwsProfile } from './aws-profile.js'

/** All that a key or token of AWS may have: it goes into headers. */
const ONE_WORD = /^[\x21-\x7e]{1,8192}$/

/** Opens the keys of a service of AWS. Does not reject: while there are none, requests are refused. The caller closes them */
export async function openAwsKeys(config: AwsCredentialsConfig, owner: SecretOwner): Promise<AwsKeys> {
  const { place } = config
  const name = settingOf(place)
  const keys = await WatchedSecret.open<AwsCredentials>({
    ...owner,
    name,
    files: filesOfPlace(place, [...SECRET_KEYS.aws, AWS_SESSION_KEY]),
    read: async () => checked(await readKeys(config), name)
  })
  return { current: () => keys.value, refused: () => void keys.look(), close: () => keys.close() }
}

async function readKeys({ place, profile }: AwsCredentialsConfig): Promise<FoundKeys> {
  if (place.kind === 'file') {
    return readAwsProfile(await readServiceFile('credentials.file', place.path), profile)
  }
  if (place.kind === 'env') {
    const [accessKeyId, secretAccessKey, sessionToken] = AWS_ENVIRONMENT.map(end => process.env[place.name + end])
    return { accessKeyId, secretAccessKey, sessionToken }
  }
  const read = (key: string) => readServiceFile('credentials.secret', join(place.folder, key))
  const [accessKeyId, secretAccessKey] = await Promise.all(SECRET_KEYS.aws.map(read))
  return { accessKeyId, secretAccessKey, sessionToken: await ifThere(read(AWS_SESSION_KEY)) }
}

async function ifThere(text: Promise<string>): Promise<string | undefined> {
  try {
    return await text
  } catch (error) {
    if (error instanceof Error && isMissing(error.cause)) return undefined
    throw error
  }
}

function checked(found: FoundKeys, setting: string): AwsCredentials {
  const word = (text: string | undefined, what: string) => {
    const value = text?.trim() ?? ''
    if (value === '') return undefined
    if (!ONE_WORD.test(value)) throw new Error(`${setting}: the ${what} is more than one word`)
    return value
  }
  const accessKeyId = word(found.accessKeyId, 'access key id')
  const secretAccessKey = word(found.secretAccessKey, 'secret access key')
  const sessionToken = word(found.sessionToken, 'session token')
  if (accessKeyId === undefined) throw new Error(`${setting}: there is no access key id`)
  if (secretAccessKey === undefined) throw new Error(`${setting}: there is no secret access key`)
  return sessionToken === undefined ? { accessKeyId, secretAccessKey } : { accessKeyId, secretAccessKey, sessionToken }
}
