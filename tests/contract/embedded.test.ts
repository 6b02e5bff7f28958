import { leftOfKeepers } from '../support/left-of-keepers.ts'
import { describeProvider } from './provider-contract.ts'

describeProvider({ name: 'embedded', leftovers: () => leftOfKeepers(process.pid) })
