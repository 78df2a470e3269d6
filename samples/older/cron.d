# System tasks: the user is the sixth field.

SHELL=/bin/sh
17 * * * * root cd / && run-parts --report /etc/cron.hourly
25 6 * * * www-data /usr/bin/php /srv/shop/cron.php
