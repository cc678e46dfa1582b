"""labels of portions by label alone"""

from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Ids are drawn at random: with the portion's in it, every import wrote most of this index anew, and nobody reads it from there.
    op.drop_index('portion_label_by_label', table_name='portion_label')
    op.create_index('portion_label_by_label', 'portion_label', ['label_id'], unique=False)
