/** The parts of a key pair that were found; empty texts count as missing. */
export interface FoundKeys {
  readonly accessKeyId: string | undefined
  readonly secretAccessKey: string | undefined
  readonly sessionToken: string | undefined
}

const SECTION = /^\[\s*(?:profile\s+)?([^\]]+?)\s*\]/
const SETTING = /^([\w-]+)\s*=\s*(.*)$/

/**
 * Reads a profile of a credentials file as AWS's programs write it (`~/.aws/credentials`).
 * @throws {Error} for one that is not there. The message has no secret
 */
export function readAwsProfile(text: string, profile: string): FoundKeys {
  const found = new Map<string, string>()
  let isThere = false
  let isWithin = false
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim()
    const section = SECTION.exec(line)?.[1]
    if (section !== undefined) {
      isWithin = section === profile
      isThere ||= isWithin
      continue
    }
    const [, name, value = ''] = SETTING.exec(line) ?? []
    if (isWithin && name !== undefined) found.set(name.toLowerCase(), value)
  }
  if (!isThere) throw new Error(`the profile ${profile} is not there`)
  return {
    accessKeyId: found.get('aws_access_key_id'),
    secretAccessKey: found.get('aws_secret_access_key'),
    sessionToken: found.get('aws_session_token')
  }
}
