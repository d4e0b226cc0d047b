// A file of its own, since the HTTP client takes 20 MB: it is loaded with the first bulk that goes down a link.
export { Pool } from 'undici'
