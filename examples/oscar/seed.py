"""Makes the shop's tables and fills them: two products, two vouchers, six buyers.

May be run again: it wipes the shop first.
"""

import datetime
import os
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 (models need a Django that is set up)
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402
from oscar.core.loading import get_model  # noqa: E402

BUYERS = 6
KEPT = "('django_migrations', 'django_content_type', 'auth_permission', 'django_site')"


def create(app, model, **fields):
    return get_model(app, model).objects.create(**fields)


def wipe():
    with connection.cursor() as cursor:
        cursor.execute(
            "select string_agg(quote_ident(tablename), ', ') from pg_tables"
            f" where schemaname = 'public' and tablename not in {KEPT}"
        )
        cursor.execute(f"truncate {cursor.fetchone()[0]} restart identity cascade")


def stock_products():
    """Product 1 (`rare`) is there once, product 2 (`common`) a hundred times."""
    create(
        "address",
        "Country",
        iso_3166_1_a2="GB",
        iso_3166_1_a3="GBR",
        iso_3166_1_numeric="826",
        printable_name="United Kingdom",
        name="United Kingdom",
        is_shipping_country=True,
    )
    digital = create("catalogue", "ProductClass", name="digital", requires_shipping=False, track_stock=True)
    partner = create("partner", "Partner", name="p")
    for title, stock in (("rare", 1), ("common", 100)):
        product = create("catalogue", "Product", structure="standalone", upc=title, title=title, product_class=digital)
        create(
            "partner",
            "StockRecord",
            product=product,
            partner=partner,
            partner_sku=title,
            price_currency="GBP",
            price=Decimal("100.00"),
            num_in_stock=stock,
        )


def print_vouchers():
    """`ONCE` may be used once in all, `PERCUST` once by each customer; each takes half off."""
    everything = create("offer", "Range", name="all", includes_all_products=True)
    now = timezone.now()
    for code, usage in (("ONCE", "Single use"), ("PERCUST", "Once per customer")):
        voucher = create(
            "voucher",
            "Voucher",
            name=code,
            code=code,
            usage=usage,
            start_datetime=now - datetime.timedelta(days=1),
            end_datetime=now + datetime.timedelta(days=30),
        )
        condition = create("offer", "Condition", range=everything, type="Count", value=1)
        benefit = create("offer", "Benefit", range=everything, type="Percentage", value=50)
        half_off = create(
            "offer",
            "ConditionalOffer",
            name=f"half off with {code}",
            offer_type="Voucher",
            condition=condition,
            benefit=benefit,
        )
        voucher.offers.add(half_off)


def register_buyers():
    """u1@example.com and so on, password `pw`."""
    users = get_user_model().objects
    for number in range(1, BUYERS + 1):
        users.create_user(f"u{number}", email=f"u{number}@example.com", password="pw")


call_command("migrate", verbosity=0)
wipe()
stock_products()
print_vouchers()
register_buyers()
