"""Our SipMask beside numbers recorded from the public code, file by file."""
