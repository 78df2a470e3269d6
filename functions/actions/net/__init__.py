"""The guarded HTTP client: the only place in the program that opens addresses given by users.

client       what others use: `HttpClient`, `Response`, `FetchError`, `RefusedError`
exchange     one call from first request to last answer
calls, urls, headers, redirects     what may be asked for: rules, no network
addresses    which addresses may be connected to: the rule itself
connections  aiohttp, with that rule at the moment of connecting
names        host names to addresses, on threads of their own
body         reading and unpacking within a bound
faults       every library's errors as one plain sentence
"""
