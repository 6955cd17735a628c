#include "CIPsecCrypto.h"
