import { textReader } from './value-readers.js'

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/
/** Headers that frame a message or belong to one connection: one of these would be no credential. */
const FORBIDDEN =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|http2-settings|proxy-.*|treeline[-_].*)$/i

export const headerName = textReader(
  'the name of a header such as "X-Api-Key", and none that frames a message',
  text => TOKEN.test(text) && !FORBIDDEN.test(text)
)
