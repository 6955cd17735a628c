#include "CWipe.h"
