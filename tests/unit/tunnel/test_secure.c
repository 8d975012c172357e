// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control connection carries every command and the secret that seals the datagrams:
 * only the holder of the same key gets in, whatever else arrives on the port.
 */
#include "tests/unit/tunnel/secure_contract.h"

int main(void)
{
	return cmocka_run_group_tests(contract_tests, NULL, NULL);
}
