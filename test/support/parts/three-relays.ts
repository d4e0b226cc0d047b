import { putRelaysBetween } from './raw-services.js'

// Imported before tests that `testOverLevels` defines.
putRelaysBetween(3)
