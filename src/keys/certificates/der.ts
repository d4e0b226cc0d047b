/** Tags of X.690 that stand on the way to the subject of a certificate or of a request for one. */
export const TAG = { integer: 0x02, bitString: 0x03, objectIdentifier: 0x06, sequence: 0x30, set: 0x31 } as const

/** UTF8String, PrintableString, IA5String: the ones a user id is written in. */
const TEXTS: readonly number[] = [0x0c, 0x13, 0x16]

/** 0.9.2342.19200300.100.1.1 (RFC 4519, section 2.39). */
const USER_ID = Buffer.from('0992268993f22c640101', 'hex')

/** An element of DER, without its header. */
export interface DerElement {
  readonly tag: number
  readonly start: number
  readonly end: number
}

/** All user ids (UID) in a name (RFC 5280, section 4.1.2.4). @throws {Error} when `name` is none */
export function userIdsOf(der: Buffer, name: DerElement | undefined): string[] {
  return elementsOf(der, expectTag(name, TAG.sequence)).flatMap(part => userIdsIn(der, part))
}

/** The user ids in one part of a name, which may hold several attributes. */
function userIdsIn(der: Buffer, part: DerElement): string[] {
  return elementsOf(der, expectTag(part, TAG.set)).flatMap(attribute => {
    const [type, value] = elementsOf(der, expectTag(attribute, TAG.sequence), 2)
    const { start, end } = expectTag(type, TAG.objectIdentifier)
    if (!value || USER_ID.compare(der, start, end) !== 0) return []
    return [TEXTS.includes(value.tag) ? der.toString('utf8', value.start, value.end) : '']
  })
}

/** The first elements within another. @throws {Error} when it does not consist of such */
export function elementsOf(der: Buffer, { start, end }: DerElement, limit = Number.POSITIVE_INFINITY): DerElement[] {
  const found: DerElement[] = []
  for (let offset = start; offset < end && found.length < limit; ) {
    const element = readElement(der, offset, end)
    found.push(element)
    offset = element.end
  }
  return found
}

/** @param limit where the element must have ended @throws {Error} when there is none */
export function readElement(der: Buffer, offset: number, limit: number): DerElement {
  const tag = der[offset]
  const first = der[offset + 1]
  if (tag === undefined || first === undefined) throw new Error(`it ends at byte ${offset}`)
  const lengthBytes = first < 0x80 ? 0 : first - 0x80
  const start = offset + 2 + lengthBytes
  if (first === 0x80 || lengthBytes > 4 || start > limit) throw new Error(`no length at byte ${offset + 1}`)
  const end = start + (lengthBytes === 0 ? first : der.readUIntBE(offset + 2, lengthBytes))
  if (end > limit) throw new Error(`the element at byte ${offset} is longer than what holds it`)
  return { tag, start, end }
}

/** @throws {Error} when the element is none with this tag */
export function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag) throw new Error(`expected an element ${tag}, found ${element?.tag ?? 'none'}`)
  return element
}
